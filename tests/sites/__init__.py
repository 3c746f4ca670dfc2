"""The app in sites that are set up in another way than ours."""
