//! Measures training steps on the ranks it is started on, and predicts them for other numbers of ranks and networks.

use autoencoder::{Autoencoder, Loss, Result, TrainConfig, Trainer, data::digits, group::Group};
use autoencoder_mpi::{
    Ranks,
    cost::{Bytes, Network, Rank},
};
use clap::Parser;
use std::{process::ExitCode, sync::Arc, time::Instant};

/// Images of the drawn digits.
const IMAGES: usize = 8_192;
/// Bytes of a message whose time is that of its bytes.
const LONG: usize = 8_000_000;

/// Measures training steps on the ranks it is started on, and predicts them for other numbers of ranks and networks.
#[derive(Debug, Parser)]
struct Flags {
    /// Widths of the encoder's hidden layers
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "512,256")]
    hidden: Vec<usize>,
    #[arg(long, default_value_t = 100)]
    code: usize,
    #[arg(long, default_value_t = 128)]
    batch_size: usize,
    /// Worker threads of each rank
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Epochs on 8,192 drawn digits, at least 2; the first is not measured
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    epochs: u16,
    /// Predicts the speedup of 2 to 64 such ranks, for two assumed networks
    #[arg(long)]
    table: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    autoencoder_mpi::run(|ranks| measure(&flags, &ranks))
}

fn measure(flags: &Flags, ranks: &Arc<Ranks>) -> Result<()> {
    let images = digits::generate(IMAGES, 1)?;
    let model = Autoencoder::builder(784).hidden(&flags.hidden).code(flags.code).build()?;
    let config = TrainConfig::new().batch_size(flags.batch_size).loss(Loss::Bce).threads(flags.threads);
    let seconds_per_step = |group: Option<Arc<Ranks>>, epochs| -> Result<f64> {
        let mut trainer = Trainer::new(config.clone().epochs(epochs));
        if let Some(group) = group {
            trainer = trainer.group(group);
        }
        let history = trainer.fit(&mut model.clone(), &images)?;
        let mut seconds: Vec<_> = history.epochs[1..].iter().map(|epoch| epoch.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[seconds.len() / 2] / IMAGES.div_ceil(flags.batch_size) as f64)
    };

    let step = seconds_per_step(Some(ranks.clone()), flags.epochs.into())?;
    let traffic = ranks.traffic();
    let (network, copying) = (network(ranks)?, copying());
    if ranks.rank() != 0 {
        return Ok(());
    }
    // The other ranks have ended and wait without computing.
    let alone = seconds_per_step(None, flags.epochs.min(3).into())?;
    println!("{:?}, batches of {}, {} threads per rank", model.widths(), flags.batch_size, flags.threads);
    println!(
        "network: {:.1} us, {:.2} GB/s; copying: {:.2} GB/s",
        network.latency * 1e6,
        network.bandwidth / 1e9,
        copying / 1e9
    );
    let images_per_second = |step: f64| flags.batch_size as f64 / step;
    println!("1 rank: {:.3} ms per step, {:.0} images/s", alone * 1e3, images_per_second(alone));
    let rank = Rank { step: alone, copying };
    let bytes = |ranks| Bytes::of_step(&model, flags.batch_size, ranks);
    let predicted = rank.step_on(ranks.size(), bytes(ranks.size()), network);
    println!(
        "{} ranks: {:.3} ms per step, {:.0} images/s; predicted {:.3} ms",
        ranks.size(),
        step * 1e3,
        images_per_second(step),
        predicted * 1e3
    );
    for label in ["rows", "weights"] {
        if let Some(traffic) = traffic.get(label) {
            println!(
                "exchange of {label}: {} bytes, {:.3} ms per step, waiting included",
                traffic.bytes / traffic.exchanges,
                traffic.time.as_secs_f64() * 1e3 / traffic.exchanges as f64
            );
        }
    }
    if flags.table {
        table(rank, bytes);
    }
    Ok(())
}

/// Prints the predicted speedup. The networks are assumed, not those between the ranks.
fn table(rank: Rank, bytes: impl Fn(usize) -> Bytes) {
    println!("predicted speedup for networks of 10 Gbit/s (20 us) and 100 Gbit/s (2 us):");
    println!("| ranks | speedup at 10 Gbit/s | at 100 Gbit/s |\n|---|---|---|");
    for ranks in [2, 4, 8, 16, 32, 64] {
        let speedup = |network| rank.step / rank.step_on(ranks, bytes(ranks), network);
        let [slow, fast] = [Network::new(10.0, 20.0), Network::new(100.0, 2.0)].map(speedup);
        println!("| {ranks} | {slow:.2} | {fast:.2} |");
    }
}

/// Measures the network between the ranks by short and by long messages.
fn network(ranks: &Ranks) -> Result<Network> {
    let others = ranks.size() - 1;
    if others == 0 {
        return Ok(Network { latency: 0.0, bandwidth: f64::INFINITY });
    }
    let time = |length: usize, repetitions: u32| -> Result<f64> {
        let sent = vec![1; length];
        let mut received = vec![0; length * others];
        let other = |rank: usize| usize::from(rank != ranks.rank());
        let to: Vec<_> = (0..ranks.size()).map(|rank| 0..length * other(rank)).collect();
        let before = |rank: usize| (0..rank).map(other).sum::<usize>() * length;
        let from: Vec<_> = (0..ranks.size()).map(|rank| before(rank)..before(rank + 1)).collect();
        ranks.exchange("measurement", &sent, &to, &mut received, &from)?;
        let start = Instant::now();
        for _ in 0..repetitions {
            ranks.exchange("measurement", &sent, &to, &mut received, &from)?;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(repetitions))
    };
    let latency = time(1, 1_000)? / others as f64;
    let bandwidth = (LONG * others) as f64 / time(LONG, 20)?;
    Ok(Network { latency, bandwidth })
}

/// Measures how fast numbers are written to a message.
fn copying() -> f64 {
    let (numbers, mut message) = (vec![1.0_f32; LONG / 4], vec![0; LONG]);
    let mut copy = || {
        for (bytes, number) in message.chunks_exact_mut(4).zip(&numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        std::hint::black_box(&mut message);
    };
    copy();
    let start = Instant::now();
    (0..20).for_each(|_| copy());
    (20 * LONG) as f64 / start.elapsed().as_secs_f64()
}
