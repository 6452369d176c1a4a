//! The service as a program: `service STORE [ADDRESS]`, on 127.0.0.1 and a free port unless told.

use std::error::Error;
use std::time::Duration;

use headcount::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

const DRAIN_LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: service STORE [ADDRESS]")?;
    let address = args.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());

    // Both handlers are there before the first request, so that no signal falls between.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let store =
        spawn_blocking(move || Store::builder(path).definitions(service::definitions()?).open()).await??;
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);

    let told_to_end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let stats = service::serve(listener, store, told_to_end, DRAIN_LIMIT).await?;
    println!("offered {}, stored {}, lost {}", stats.offered, stats.stored, stats.lost);
    Ok(())
}
