"""Closed-form weight edits, one short file each."""
