"""`python -m gateway` is `unlearn-gateway`."""

from gateway.cli import main

main()
