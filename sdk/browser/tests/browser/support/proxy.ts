/** Serves the test page and the built SDK, and passes the rest on to the gateway: well, or badly on command. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request as httpRequest, type Server, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { gunzipSync } from "node:zlib";

/** `lose-answers`: the server has done it, but nobody hears of it. */
export type Fault =
  | { kind: "status"; status: number; retryAfter?: number }
  | { kind: "too-big"; events: number }
  | { kind: "hang" | "reset" | "half" | "lose-answers" };

export interface Seen {
  path: string;
  events: number;
  at: number;
  /** Of the body, as it came over the wire. */
  bytes: number;
  encoding: string | undefined;
  type: string | undefined;
}

const dist = new URL("../../../dist/", import.meta.url);
const TYPES: Record<string, string> = { js: "text/javascript", html: "text/html" };

export class FaultProxy {
  fault: Fault | undefined;
  /** Where events go over REST; WebSockets are refused while this is set. */
  refuseSockets = false;
  /** Batches that came over REST, faults included. */
  readonly batches: Seen[] = [];
  /** Where WebSockets were asked for, refused ones included. */
  readonly upgrades: string[] = [];
  hits = 0;
  private readonly links = new Set<Duplex>();
  private readonly server: Server;

  constructor(private readonly target: URL) {
    this.server = createServer((request, response) => void this.serve(request, response));
    this.server.on("upgrade", (request, socket: Duplex, head: Buffer) => this.upgrade(request, socket, head));
    this.server.on("connection", (socket: Socket) => this.keep(socket));
  }

  get url(): string {
    return `http://localhost:${(this.server.address() as { port: number }).port}`;
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.server.listen(0, "localhost", resolve));
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Ends every connection at once. */
  cut(): void {
    for (const link of this.links) link.destroy();
  }

  private keep(link: Duplex): void {
    this.links.add(link);
    link.on("error", () => link.destroy());
    link.on("close", () => this.links.delete(link));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url!, "http://_").pathname;
    if (request.method === "GET") return this.serveFile(path, response);
    const body = await read(request).catch(() => undefined);
    if (!body) return;
    if (request.method === "POST") {
      const { "content-encoding": encoding, "content-type": type } = request.headers;
      const events = countEvents(body, encoding);
      this.batches.push({ path, events, at: Date.now(), bytes: body.length, encoding, type });
      if (this.spoilt(response, events)) return;
    }
    const up = httpRequest(this.target, { path: request.url!, method: request.method!, headers: request.headers }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("end", () => {
        const whole = Buffer.concat(pieces);
        if (request.method === "POST" && this.fault?.kind === "lose-answers") return this.hit(() => request.socket.destroy());
        response.writeHead(answer.statusCode!, answer.headers);
        if (request.method === "POST" && this.fault?.kind === "half") {
          return this.hit(() => response.write(whole.subarray(0, whole.length / 2), () => request.socket.destroy()));
        }
        response.end(whole);
      });
    });
    up.on("error", () => request.socket.destroy());
    up.end(body);
  }

  private spoilt(response: ServerResponse, events: number): boolean {
    const { fault } = this;
    if (fault?.kind === "reset") this.hit(() => (response.socket as Socket | null)?.resetAndDestroy());
    else if (fault?.kind === "hang") this.hit(() => {});
    else if (fault?.kind === "status" || (fault?.kind === "too-big" && events > fault.events)) {
      const wait = fault.kind === "status" && fault.retryAfter ? { "Retry-After": String(fault.retryAfter) } : {};
      const cors = { "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After" };
      this.hit(() => response.writeHead(fault.kind === "status" ? fault.status : 413, { ...wait, ...cors }).end("{}"));
    } else return false;
    return true;
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.keep(socket);
    this.upgrades.push(request.url!);
    if (this.refuseSockets || this.fault?.kind === "status") {
      socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n");
      return;
    }
    const up = connect(Number(this.target.port), this.target.hostname, () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      up.write(`GET ${request.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
      up.write(head);
    });
    this.keep(up);
    socket.on("data", (piece: Buffer) => {
      if (this.fault?.kind === "hang") return void this.hits++;
      if (this.fault?.kind === "reset") return this.hit(() => (socket as Socket).resetAndDestroy());
      up.write(piece);
    });
    up.on("data", (piece: Buffer) => {
      if (this.fault?.kind === "hang") return void this.hits++;
      const answers = piece.includes('"results"');
      if (answers && this.fault?.kind === "lose-answers") return this.hit(() => socket.destroy());
      if (answers && this.fault?.kind === "half") return this.hit(() => socket.write(piece.subarray(0, 20), () => socket.destroy()));
      socket.write(piece);
    });
    socket.on("close", () => up.destroy());
    up.on("close", () => socket.destroy());
  }

  private hit(happen: () => unknown): void {
    this.hits++;
    happen();
  }

  private serveFile(path: string, response: ServerResponse): void {
    try {
      const folder = path.startsWith("/dist/") ? dist : new URL(".", import.meta.url);
      const file = new URL(path === "/" ? "page.html" : path.replace(/^\/dist\//, "").replace(/^\//, ""), folder);
      const content = readFileSync(file);
      response.writeHead(200, { "Content-Type": TYPES[file.pathname.split(".").pop()!] ?? "text/plain" }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  }
}

const read = async (request: IncomingMessage): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

const countEvents = (body: Buffer, encoding: string | undefined): number => {
  try {
    const text = (encoding === "gzip" ? gunzipSync(body) : body).toString();
    return (JSON.parse(text) as { events: unknown[] }).events.length;
  } catch {
    return -1;
  }
};
