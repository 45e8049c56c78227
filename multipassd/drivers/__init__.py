"""What runs instances: one package a backend; driver.py is what they all look like."""
