import { defineConfig } from "@playwright/test";

process.env["OBC_WALK_SEED"] ||= String(Date.now() % 1e6);
const seconds = Number(process.env["OBC_WALK_SECONDS"] ?? 60);

export default defineConfig({
  // The React package is tried on the same stack.
  projects: [
    { name: "browser", testDir: "." },
    { name: "react", testDir: "../../../react/tests/browser" },
  ],
  // One stack, one machine: tests that break the network must not break each other's.
  workers: 1,
  timeout: 60_000 + seconds * 1_000,
  reporter: [["list"]],
  outputDir: "../../.playwright",
  globalSetup: "./support/global-setup.ts",
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env["OBC_CHROMIUM"] || "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    },
  },
});
