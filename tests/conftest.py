"""What every test stands on; also marks this folder, so that tests import its helper modules."""

import signal

# A shell starts background jobs with SIGINT ignored, and children inherit that. Tests of Ctrl-C
# must not depend on how they were started.
signal.signal(signal.SIGINT, signal.default_int_handler)
