"""No hub can be reached by mistake."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
