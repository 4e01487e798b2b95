"""Pure functions on arrays of equity."""
