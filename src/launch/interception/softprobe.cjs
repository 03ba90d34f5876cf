// Sends the HTTP calls of this process through the proxy that HTTP_PROXY names, where Node does not do that by itself:
// every agent of `http` and `https`, and the dispatcher of `fetch` and undici.
'use strict';

const proxyUrl = process.env.http_proxy || process.env.HTTP_PROXY;
if (proxyUrl) {
  try {
    intercept(new URL(proxyUrl));
  } catch (error) {
    process.stderr.write(`softprobe: calls are not sent through ${proxyUrl}: ${error.message}\n`);
  }
}

function intercept(proxy) {
  const http = require('http');
  const https = require('https');
  const tls = require('tls');
  const at = { host: proxy.hostname.replace(/^\[|\]$/g, ''), port: Number(proxy.port || 80) };

  function authority(host, port) {
    return (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host) + `:${port}`;
  }

  // Opens a tunnel to a host and port.
  function tunnel(host, port, done) {
    const name = authority(host, port);
    const request = http.request({ ...at, method: 'CONNECT', path: name, headers: { host: name }, agent: false });
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return done(null, socket);
      socket.destroy();
      done(new Error(`the proxy answered CONNECT ${name} with ${response.statusCode}`));
    });
    request.once('error', done);
    request.end();
  }

  // An agent of Node's that has a proxy, or of somebody else that connects in its own way.
  function hasOwnWay(agent) {
    return (agent.options && agent.options.proxyEnv) || agent.proxy || agent.createSocket !== http.Agent.prototype.createSocket;
  }

  // The entries of NO_PROXY: `*`, or a name or an address, perhaps with a port.
  const exempt = (process.env.no_proxy || process.env.NO_PROXY || '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry)
    .map((entry) => {
      const parts = /^\[(.*)\](?::(\d+))?$/.exec(entry) || /^([^:]*)(?::(\d+))?$/.exec(entry);
      return parts ? { host: parts[1].replace(/^\*?\./, ''), port: parts[2] } : { host: entry };
    });

  function isExempt(host, port) {
    const name = host.replace(/^\[|\]$/g, '').toLowerCase();
    return exempt.some((entry) => {
      if (entry.host === '*') return true;
      if (entry.port && Number(entry.port) !== Number(port)) return false;
      return name === entry.host || name.endsWith(`.${entry.host}`);
    });
  }

  const addRequest = http.Agent.prototype.addRequest;
  http.Agent.prototype.addRequest = function (request, options, ...rest) {
    const isPlain = options && typeof options === 'object' && this.protocol === 'http:';
    if (!isPlain || request.method === 'CONNECT' || options.socketPath || hasOwnWay(this)) {
      return addRequest.call(this, request, options, ...rest);
    }
    const host = options.host || options.hostname || 'localhost';
    const port = Number(options.port || 80);
    // Some clients read the proxy variables by themselves.
    if ((host === at.host && port === at.port) || isExempt(host, port)) return addRequest.call(this, request, options, ...rest);
    const origin = `http://${authority(host, port).replace(/:80$/, '')}`;
    request.path = origin + request.path;
    if (request._header) {
      // Headers given as a list are written before an agent is asked.
      request._header = request._header.replace(' ', ` ${origin}`);
    }
    return addRequest.call(this, request, { ...options, ...at, hostname: at.host, lookup: undefined, family: undefined }, ...rest);
  };

  const createConnection = https.Agent.prototype.createConnection;
  https.Agent.prototype.createConnection = function (options, done) {
    const isCall = options && typeof options === 'object' && typeof done === 'function';
    const host = (isCall && (options.host || options.hostname)) || 'localhost';
    const isOurs = isCall && !options.socketPath && !options.socket && !(this.options && this.options.proxyEnv);
    if (!isOurs || isExempt(host, options.port || 443)) return createConnection.apply(this, arguments);
    tunnel(host, options.port || 443, (error, socket) => {
      if (error) return done(error);
      done(null, createConnection.call(this, { ...options, socket }));
    });
  };

  // Node loads its own undici, and sets this, as soon as one of its classes is looked at.
  const name = Symbol.for('undici.globalDispatcher.1');
  if (typeof Response === 'undefined' || !globalThis[name]) return;
  const dispatcher = globalThis[name];
  if (dispatcher.constructor.name !== 'Agent') return;

  class Proxied extends dispatcher.constructor {
    dispatch(options, handler) {
      const origin = options.origin && new URL(options.origin);
      const isOurs = origin && origin.protocol === 'http:' && !isExempt(origin.hostname, origin.port || 80);
      if (!isOurs) return super.dispatch(options, handler);
      const headers = withHost(options.headers, origin.host);
      return super.dispatch({ ...options, origin: proxy.origin, path: origin.origin + options.path, headers }, handler);
    }
  }

  function withHost(headers, host) {
    if (headers && typeof headers === 'object' && !Array.isArray(headers) && !headers[Symbol.iterator]) {
      const given = Object.keys(headers).some((key) => key.toLowerCase() === 'host');
      return given ? headers : { ...headers, host };
    }
    const list = headers ? [...headers].flat() : [];
    const given = list.some((key, n) => n % 2 === 0 && String(key).toLowerCase() === 'host');
    return given ? list : [...list, 'host', host];
  }

  function connect(options, done) {
    const { hostname, port, protocol } = options;
    if (protocol !== 'https:' || isExempt(hostname, port || 443)) {
      const socket = protocol === 'https:'
        ? tls.connect({ ...options, host: hostname, port: port || 443, servername: options.servername || hostname, ALPNProtocols: ['http/1.1'] })
        : require('net').connect({ host: hostname, port: port || 80 });
      socket.once(protocol === 'https:' ? 'secureConnect' : 'connect', () => done(null, socket));
      socket.once('error', done);
      return;
    }
    tunnel(hostname, port || 443, (error, socket) => {
      if (error) return done(error, null);
      const secure = tls.connect({ ...options, socket, servername: options.servername || hostname, ALPNProtocols: ['http/1.1'] });
      secure.once('secureConnect', () => done(null, secure));
      secure.once('error', done);
    });
  }

  globalThis[name] = new Proxied({ connect });
}
