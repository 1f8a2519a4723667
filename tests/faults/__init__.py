"""The judge: a clock that costs nothing and a server that misbehaves on demand."""
