"""The pages of one payment: its page, the actions of people on its attempts, and its receipt."""
