"""What methods of one family share: preferences, sampled answers."""
