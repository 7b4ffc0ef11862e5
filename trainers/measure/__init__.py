"""What training did: held-out data, samples, canaries, rewards."""
