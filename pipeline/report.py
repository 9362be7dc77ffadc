"""The summary as a page (stub to be replaced)."""


def render(summary):
    return "<html></html>"
