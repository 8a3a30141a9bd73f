"""The app, tested without a platform."""
