"""Studies of several runs or models: ranking, noise, parity, bisection, trend, tournament."""
