"""Sending what the outbox holds: mails and webhooks.

Touches SMTP and HTTP. Begin with `sender`.
"""
