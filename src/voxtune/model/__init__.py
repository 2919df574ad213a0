"""How the parts meet: extra tokens, encoders, cross-attention, heads, the whole model."""
