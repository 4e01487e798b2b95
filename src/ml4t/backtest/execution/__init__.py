"""From target weights to a plan, and from a plan to orders."""
