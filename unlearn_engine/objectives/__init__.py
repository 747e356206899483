"""Trained erasure methods, one short file each."""
