"""The pages of the app inside the Django admin."""
