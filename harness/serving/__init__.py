"""``tunegate serve``: the gate's own engine behind the OpenAI protocol."""
