"""The demo of one model: a page to try it, the link by which others open it, and a Space folder that shows the same.

Only here is Gradio imported. It does not know the server, its database or its settings.
"""
