//! Webhooks of a real manager. Over https: delivered where the system's roots know the receiver's authority, refused and
//! said where they do not. The receiver is Python's TLS with a throw-away authority, which the manager is shown by
//! `SSL_CERT_FILE`. And over the manager's own death: what it owed a receiver that was down arrives after it.
//!
//! Needs `openssl` and `python3`.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watchtree_api::{Client, IncidentQuery, TreeQuery};
use watchtree_e2e::manager_support::{Running, WITHIN, daemon, end, tree, wait_for};
use watchtree_e2e::programs::run;

const RECEIVER: &str = r#"
import http.server, ssl, sys
folder = sys.argv[1]
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(folder + "/received", "ab") as file:
            file.write(body + b"\n")
        self.send_response(204)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(folder + "/server.pem", folder + "/server.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
with open(folder + "/port.new", "w") as file:
    file.write(str(server.server_port))
import os
os.rename(folder + "/port.new", folder + "/port")
server.serve_forever()
"#;

/// An authority, and a certificate of it for `localhost`.
fn certificates(at: &Path) -> Result<()> {
    let openssl = |line: &str| run(Command::new("openssl").current_dir(at).args(line.split(' ')));
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=watchtree-test"
    ))?;
    openssl(&format!(
        "req {key} -keyout server.key -out server.csr -subj /CN=localhost"
    ))?;
    std::fs::write(
        at.join("extensions"),
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )?;
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem -extfile extensions",
    )
}

fn receiver(at: &Path) -> Result<(Running, u16)> {
    certificates(at)?;
    let child = Command::new("python3")
        .args(["-c", RECEIVER])
        .arg(at)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let running = Running(child);
    let port = wait_for("the receiver listens", at, || {
        std::fs::read_to_string(at.join("port")).ok()
    })?;
    Ok((running, port.parse()?))
}

fn folder() -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::Builder::new().prefix("wt-https-").tempdir()?;
    let at = folder.path().to_path_buf();
    Ok((folder, at))
}

#[test]
fn a_known_authority_gets_the_incident() -> Result<()> {
    let (_folder, at) = folder()?;
    let (_receiver, port) = receiver(&at)?;
    let (_manager, host) = tree(&at, &format!("https://localhost:{port}/hook"), true)?;
    let read = || std::fs::read_to_string(at.join("received")).ok();
    let received = wait_for("the post arrives", &at, || read().filter(|text| text.ends_with('\n')))?;
    let line = received.lines().next().context("a line")?;
    println!("{line}");
    let post: serde_json::Value = serde_json::from_str(line)?;
    ensure!(
        post["change"] == "opened" && post["incident"]["subject"] == "h1/docker",
        "{post}"
    );
    end(host)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_gets_nothing_and_is_said() -> Result<()> {
    let (_folder, at) = folder()?;
    let (_receiver, port) = receiver(&at)?;
    let (_manager, host) = tree(&at, &format!("https://localhost:{port}/hook"), false)?;
    let client = Client::unix(&at.join("run/manager.sock"));
    let said = webhook_trouble(&client).await?;
    println!("{said}");
    ensure!(said.contains("certificate"), "{said}");
    ensure!(!at.join("received").exists(), "it was posted all the same");
    end(host)
}

/// What the manager says of its webhook, once it says something.
async fn webhook_trouble(client: &Client) -> Result<String> {
    let began = Instant::now();
    loop {
        let conditions = client.tree(&TreeQuery::default()).await.map(|tree| tree.conditions);
        let found = conditions
            .unwrap_or_default()
            .into_iter()
            .find(|one| one.about.contains("webhook"));
        match found {
            Some(condition) => return Ok(condition.detail),
            None if WITHIN < began.elapsed() => bail!("nothing is said of it"),
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Takes one post and answers 204; gives its body.
fn take(listener: &TcpListener) -> Result<serde_json::Value> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(WITHIN))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        ensure!(reader.read_line(&mut line)? != 0, "the head ended early");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
    Ok(serde_json::from_slice(&body)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_although_the_manager_was_killed_before_it_could() -> Result<()> {
    let (_folder, at) = folder()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (mut manager, host) = tree(&at, &format!("http://{address}/hook"), false)?;
    let client = Client::unix(&at.join("run/manager.sock"));
    println!("{}", webhook_trouble(&client).await?);
    let open = client.incidents(&IncidentQuery::default()).await?.incidents;
    let incident = open.first().context("an open incident")?;
    // `kill` of a child is SIGKILL.
    manager.0.kill()?;
    manager.0.wait()?;

    let _again = daemon(&at, "manager-watchdog", "manager", false)?;
    let listener = TcpListener::bind(address)?;
    let (sender, posts) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(take(&listener)));
    let post = posts.recv_timeout(WITHIN).context("nothing was posted")??;
    println!("{post}");
    ensure!(
        post["change"] == "opened" && post["incident"]["id"] == incident.id.as_str(),
        "{post}"
    );
    ensure!(
        post["incident"]["opened_wall_ms"] == incident.opened_wall_ms,
        "it is not the one that was opened before the kill: {post}"
    );
    end(host)
}
