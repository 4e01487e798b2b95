"""Compiled rules: planning, matching, accounting. Arrays and numbers only."""
