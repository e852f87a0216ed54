// A certified OpenID Connect provider for one test: node oidc_provider.mjs HOME PORT CLIENT_ORIGIN
// Everybody may sign in there; the name that is typed gives the address, and its first part gives the role.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [home, port, origin] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(createRequire(`${home}/x.js`).resolve('oidc-provider')));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'bursar',
    client_secret: 'a secret of this test alone',
    redirect_uris: [`${origin}/dashboard/sign-in/callback`],
    post_logout_redirect_uris: [`${origin}/dashboard/sign-in`],
    backchannel_logout_uri: `${origin}/dashboard/sign-in/back-channel-logout`,
    backchannel_logout_session_required: true,
  }],
  features: { backchannelLogout: { enabled: true } },
  // Its own request refuses addresses of this machine, and gives up after 2.5 seconds.
  fetch: (url, { dispatcher, signal, ...options }) => globalThis.fetch(url, options),
  scopes: ['openid', 'email', 'roles'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], roles: ['roles'] },
  cookies: { keys: ['a key of this test alone'] },
  async findAccount(context, id) {
    const [role] = id.split('.');
    return {
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@example.gov`, email_verified: true, roles: [role] }),
    };
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
