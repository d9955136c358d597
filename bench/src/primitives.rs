//! What threads, tasks, channels and system calls cost by themselves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;
use std::{hint, thread};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{broadcast, mpsc as tokio_mpsc};
use tokio::task;

use crate::report::Table;

/// Times that each part is done, in each of the rounds of which the median counts. Parts that wake
/// a thread take microseconds, so they are done less often.
const TIMES: u32 = 20_000;
const WAKING_TIMES: u32 = 2_000;
const ROUNDS: usize = 5;

type Part<'a> = &'a dyn Fn(u32) -> anyhow::Result<()>;

/// Measures each part by itself.
pub(crate) fn run() -> anyhow::Result<Table> {
    let one = &Builder::new_current_thread().build().context("a runtime")?;
    // The measuring thread runs one task, the only worker the other: so each pair crosses threads.
    let two = &Builder::new_multi_thread().worker_threads(1).build().context("a runtime")?;
    let parts: [(&str, u32, Part<'_>); 13] = [
        ("a system call (getppid)", TIMES, &system_calls),
        ("spawn a thread and join it", WAKING_TIMES, &spawn_threads),
        ("spawn a task and join it", TIMES, &|n| spawn_tasks(one, n)),
        ("there and back, two threads, std channels", WAKING_TIMES, &switch_threads),
        ("there and back, two tasks on two threads, tokio channels", WAKING_TIMES, &|n| {
            switch_tasks(two, n)
        }),
        ("there and back, two tasks on one thread, tokio channels", TIMES, &|n| {
            switch_tasks(one, n)
        }),
        ("hand over, two threads, std sync_channel", TIMES, &std_channel),
        ("hand over, two threads, crossbeam bounded", TIMES, &crossbeam),
        ("hand over, two tasks on two threads, tokio mpsc", TIMES, &|n| hand_over(two, n)),
        ("hand over, two tasks on one thread, tokio mpsc", TIMES, &|n| hand_over(one, n)),
        ("tokio broadcast on one thread, to 1 task", TIMES, &|n| broadcast_to(one, 1, n)),
        ("tokio broadcast on one thread, to 100 tasks", WAKING_TIMES, &|n| {
            broadcast_to(one, 100, n)
        }),
        ("there and back, two threads, loopback TCP", WAKING_TIMES, &loopback),
    ];
    let mut table =
        Table::new("primitives", "What the parts cost by themselves", "").columns(["ns"]);
    for (label, times, part) in parts {
        table.push(label, &[median(times, part).context(label)?]);
    }
    Ok(table)
}

/// Nanoseconds that `part` takes for each of its times.
fn median(times: u32, part: Part<'_>) -> anyhow::Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        part(times)?;
        rounds.push(start.elapsed().as_nanos() as f64 / f64::from(times));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}

fn system_calls(times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        hint::black_box(rustix::process::getppid());
    }
    Ok(())
}

fn std_channel(times: u32) -> anyhow::Result<()> {
    let (sender, receiver) = mpsc::sync_channel(256);
    let producer = thread::spawn(move || (0..times).try_for_each(|n| sender.send(n)));
    count(receiver.iter(), producer, times)
}

fn crossbeam(times: u32) -> anyhow::Result<()> {
    let (sender, receiver) = crossbeam_channel::bounded(256);
    let producer = thread::spawn(move || (0..times).try_for_each(|n| sender.send(n)));
    count(receiver.iter(), producer, times)
}

fn spawn_threads(times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        thread::spawn(|| ()).join().map_err(|_| anyhow::anyhow!("a panic"))?;
    }
    Ok(())
}

fn spawn_tasks(runtime: &Runtime, times: u32) -> anyhow::Result<()> {
    runtime.block_on(async {
        for _ in 0..times {
            task::spawn(async {}).await?;
        }
        Ok(())
    })
}

fn switch_threads(times: u32) -> anyhow::Result<()> {
    let (there, arriving) = mpsc::sync_channel(1);
    let (back, returning) = mpsc::sync_channel(1);
    let echo = thread::spawn(move || arriving.iter().try_for_each(|n: u32| back.send(n)));
    for n in 0..times {
        there.send(n)?;
        returning.recv()?;
    }
    drop(there);
    echo.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    Ok(())
}

fn switch_tasks(runtime: &Runtime, times: u32) -> anyhow::Result<()> {
    runtime.block_on(async {
        let (there, mut arriving) = tokio_mpsc::channel(1);
        let (back, mut returning) = tokio_mpsc::channel(1);
        let echo = task::spawn(async move {
            while let Some(n) = arriving.recv().await {
                // Fails once the other side has returned.
                let _ = back.send(n).await;
            }
        });
        for n in 0..times {
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
    times: u32,
) -> anyhow::Result<()> {
    anyhow::ensure!(received.count() == times as usize, "some are lost");
    producer.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    Ok(())
}

fn hand_over(runtime: &Runtime, times: u32) -> anyhow::Result<()> {
    runtime.block_on(async {
        let (sender, mut receiver) = tokio_mpsc::channel(256);
        let producer = task::spawn(async move {
            for n in 0..times {
                sender.send(n).await?;
            }
            anyhow::Ok(())
        });
        let mut received = 0;
        while receiver.recv().await.is_some() {
            received += 1;
        }
        anyhow::ensure!(received == times, "some are lost");
        producer.await?
    })
}

/// One of its times is a send; its deliveries are `receivers` as many.
fn broadcast_to(runtime: &Runtime, receivers: usize, times: u32) -> anyhow::Result<()> {
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
        for n in 0..times {
            sender.send(n)?;
            if n % 8 == 7 {
                // Lets the receivers run: a ring that laps them loses values.
                task::yield_now().await;
            }
        }
        drop(sender);
        while let Some(received) = tasks.join_next().await {
            anyhow::ensure!(received? == times, "some are lost");
        }
        Ok(())
    })
}

fn loopback(times: u32) -> anyhow::Result<()> {
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
    for _ in 0..times {
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
    }
    drop(stream);
    echo.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    Ok(())
}
