"""needlepoint: a picture library you can question, down to the smallest thing in a picture."""

__version__ = "0.1.0"
