"""Rules that must hold in every simulated world, each one an observer."""
