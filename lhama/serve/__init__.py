"""The front door: talk with a trained model. Nothing but the command line imports this room."""
