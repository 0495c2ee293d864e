from tests.finished import finished, pictures

__all__ = ["finished", "pictures"]
