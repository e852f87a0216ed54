"""Sign-in through an OpenID Connect provider, by the authorization code flow with PKCE."""
