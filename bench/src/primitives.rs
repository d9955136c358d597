//! What the parts cost of which servers are made.

use std::{
    hint,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Instant,
};

use anyhow::Context;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{broadcast, mpsc as tokio_mpsc},
    task,
};

use crate::report::Table;

/// How often each is done, in each of the rounds of which the median counts.
const TIMES: u32 = 20_000;
const ROUNDS: usize = 5;

/// Measures each part by itself.
pub(crate) fn run() -> anyhow::Result<Table> {
    let mut table = Table::new("primitives", "Nanoseconds for each", "bench primitives", &["ns"]);
    let runtime = || Builder::new_current_thread().build().context("a runtime");
    let one = runtime()?;
    let mut measure = |label: &str, part: &dyn Fn() -> anyhow::Result<()>| {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            part().context(label.to_owned())?;
            times.push(start.elapsed().as_nanos() as f64 / f64::from(TIMES));
        }
        times.sort_by(f64::total_cmp);
        table.push(label, &[Some(times[ROUNDS / 2])]);
        anyhow::Ok(())
    };
    measure("a system call (getppid)", &|| {
        for _ in 0..TIMES {
            hint::black_box(rustix::process::getppid());
        }
        Ok(())
    })?;
    measure("spawn a thread and join it", &spawn_threads)?;
    measure("spawn a task and join it", &|| spawn_tasks(&one))?;
    measure("there and back between threads", &switch_threads)?;
    measure("there and back between tasks", &|| switch_tasks(&one))?;
    measure("hand over, std sync_channel", &|| {
        let (sender, receiver) = mpsc::sync_channel(256);
        let producer = thread::spawn(move || (0..TIMES).try_for_each(|n| sender.send(n)));
        count(receiver.iter(), producer)
    })?;
    measure("hand over, crossbeam bounded", &|| {
        let (sender, receiver) = crossbeam_channel::bounded(256);
        let producer = thread::spawn(move || (0..TIMES).try_for_each(|n| sender.send(n)));
        count(receiver.iter(), producer)
    })?;
    measure("hand over, tokio mpsc", &|| hand_over(&one))?;
    measure("hand over, tokio broadcast, to 1", &|| broadcast_to(&one, 1))?;
    measure("hand over, tokio broadcast, to 100", &|| broadcast_to(&one, 100))?;
    measure("there and back over loopback", &loopback)?;
    Ok(table)
}

fn spawn_threads() -> anyhow::Result<()> {
    for _ in 0..TIMES {
        thread::spawn(|| ()).join().map_err(|_| anyhow::anyhow!("a panic"))?;
    }
    Ok(())
}

fn spawn_tasks(runtime: &Runtime) -> anyhow::Result<()> {
    runtime.block_on(async {
        for _ in 0..TIMES {
            task::spawn(async {}).await?;
        }
        Ok(())
    })
}

fn switch_threads() -> anyhow::Result<()> {
    let (there, arriving) = mpsc::sync_channel(1);
    let (back, returning) = mpsc::sync_channel(1);
    let echo = thread::spawn(move || arriving.iter().try_for_each(|n: u32| back.send(n)));
    for n in 0..TIMES {
        there.send(n)?;
        returning.recv()?;
    }
    drop(there);
    echo.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    Ok(())
}

fn switch_tasks(runtime: &Runtime) -> anyhow::Result<()> {
    runtime.block_on(async {
        let (there, mut arriving) = tokio_mpsc::channel(1);
        let (back, mut returning) = tokio_mpsc::channel(1);
        let echo = task::spawn(async move {
            while let Some(n) = arriving.recv().await {
                // Fails when nobody waits for it any more.
                let _ = back.send(n).await;
            }
        });
        for n in 0..TIMES {
            there.send(n).await?;
            returning.recv().await;
        }
        drop(there);
        echo.await?;
        Ok(())
    })
}

fn count<E: std::error::Error + Send + Sync + 'static>(
    received: impl Iterator<Item = u32>,
    producer: thread::JoinHandle<Result<(), E>>,
) -> anyhow::Result<()> {
    anyhow::ensure!(received.count() == TIMES as usize, "some are lost");
    producer.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    Ok(())
}

fn hand_over(runtime: &Runtime) -> anyhow::Result<()> {
    runtime.block_on(async {
        let (sender, mut receiver) = tokio_mpsc::channel(256);
        let producer = task::spawn(async move {
            for n in 0..TIMES {
                sender.send(n).await?;
            }
            anyhow::Ok(())
        });
        let mut received = 0;
        while receiver.recv().await.is_some() {
            received += 1;
        }
        anyhow::ensure!(received == TIMES, "some are lost");
        producer.await?
    })
}

/// Counts what one sender sends, not what all receive.
fn broadcast_to(runtime: &Runtime, receivers: usize) -> anyhow::Result<()> {
    runtime.block_on(async {
        let sender = broadcast::Sender::new(16);
        let mut tasks = task::JoinSet::new();
        for _ in 0..receivers {
            let mut receiver = sender.subscribe();
            tasks.spawn(async move {
                let mut received = 0;
                while receiver.recv().await.is_ok() {
                    received += 1;
                }
                received
            });
        }
        for n in 0..TIMES {
            sender.send(n)?;
            if n % 8 == 7 {
                // Lets the receivers have them: a ring that laps them loses some.
                task::yield_now().await;
            }
        }
        drop(sender);
        while let Some(received) = tasks.join_next().await {
            anyhow::ensure!(received? == TIMES, "some are lost");
        }
        Ok(())
    })
}

fn loopback() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut other, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    other.set_nodelay(true)?;
    let echo = thread::spawn(move || -> std::io::Result<()> {
        let mut byte = [0];
        while other.read(&mut byte)? == 1 {
            other.write_all(&byte)?;
        }
        Ok(())
    });
    let mut byte = [7];
    for _ in 0..TIMES {
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
    }
    drop(stream);
    echo.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    Ok(())
}
