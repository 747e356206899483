"""The forget request: accepted, made durable, enforced by every replica, erased, withdrawn."""
