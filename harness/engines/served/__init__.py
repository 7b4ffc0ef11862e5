"""Models behind servers: their addresses, the client that asks them, and the engines that use it."""
