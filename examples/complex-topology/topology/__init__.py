"""How the app changes where its events go."""
