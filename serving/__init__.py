"""The server: CDS Hooks calls in, cards out, every card journalled."""

import os

# From 1.29 on, onnxruntime reports to its maker and keeps a thread for it, unless told not to before it is imported
# (its Privacy.md, "Disabling Telemetry"). A hospital's server calls nobody, and no thread may exist before a fork.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
