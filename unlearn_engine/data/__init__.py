"""What the erasure asks: ways to ask about a subject, never-seen names, and the sets built from them."""
