"""What a model is asked, token by token: rendered by one function for gate, trainers, judges and server."""
