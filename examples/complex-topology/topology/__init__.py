"""Changes of the app's destinations."""
