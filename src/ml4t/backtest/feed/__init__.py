"""From frames to arrays."""
