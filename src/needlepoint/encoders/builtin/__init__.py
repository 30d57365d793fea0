"""The encoder inside the wheel: EfficientNet-Lite0 for pictures, MiniLM and ConSE for words."""
