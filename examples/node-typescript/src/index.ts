// A server that says hello, and who and where it is: enough to see that the image runs as it should.
import express from 'express';

const port = Number(process.env.PORT ?? 8080);
const host = process.env.HOST ?? '0.0.0.0';
const app = express();

app.get('/', (_request, response) => {
  response.json({ hello: 'from orbit', node: process.version, user: process.getuid(), directory: process.cwd() });
});

app.get('/healthz', (_request, response) => {
  response.type('text/plain').send('ok\n');
});

const server = app.listen(port, host, () => {
  console.log(`listening on ${host}:${port}`);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
