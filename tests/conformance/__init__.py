"""Every family of models, with every kind of adapter, against a bare script."""
