"""What goes wrong in a simulated world, on purpose and from a seed."""
