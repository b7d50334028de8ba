/** Starts the real stack on free ports in a folder of its own, for all tests, and ends it after them. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PYTHON, readNote } from "./stack.ts";

const PORTS = [
  "DEV_POSTGRES", "DEV_REDIS", "GATEWAY", "INGEST_GRPC", "QUERY_GRPC", "TENANT_CONFIG_GRPC", "WORKER_GRPC",
  "GATEWAY_ADMIN", "INGEST_ADMIN", "QUERY_ADMIN", "TENANT_CONFIG_ADMIN", "WORKER_ADMIN",
];
/** So that a batch can be too large for the server. */
const LARGEST_BATCH = 150;
const READY_TIMEOUT = 120_000;

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const ended = (child: ChildProcess) => new Promise((resolve) => child.once("exit", resolve));

export default async (): Promise<() => Promise<void>> => {
  const folder = mkdtempSync(join(tmpdir(), "obc-sdk-"));
  const ports = await Promise.all(PORTS.map(freePort));
  const settings = Object.fromEntries(PORTS.map((name, at) => [`ANALYTICS_${name}_PORT`, String(ports[at])]));
  settings["ANALYTICS_MAX_EVENTS_PER_BATCH"] = String(LARGEST_BATCH);
  const log = openSync(join(folder, "output.log"), "a");
  const child = spawn(PYTHON, ["-m", "obc_dev", "run", "--quiet"], {
    env: { ...process.env, ...settings, ANALYTICS_DEV_STATE_DIR: folder },
    stdio: ["ignore", log, log],
  });
  const stop = async () => {
    child.kill("SIGINT");
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + READY_TIMEOUT;
  while (!existsSync(join(folder, "run.json")) || !readNote(folder).ready) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const said = readFileSync(join(folder, "output.log"), "utf8");
      child.kill("SIGINT");
      throw new Error(`the stack is not ready:\n${said.slice(-4_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  process.env["OBC_STACK_FOLDER"] = folder;
  process.env["OBC_STACK_POSTGRES"] = settings["ANALYTICS_DEV_POSTGRES_PORT"];
  return stop;
};
