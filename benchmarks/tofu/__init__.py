"""TOFU (arXiv 2401.06121) on a model trained from nothing: forget quality and model utility of every method."""
