"""What a prediction rests on: heat maps, token attributions, and the checks that say how far each may be trusted."""
