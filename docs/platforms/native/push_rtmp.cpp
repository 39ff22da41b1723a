// Pushes a moving picture and a tone to StreamHub by RTMP, until Ctrl-C.
//
//   g++ -std=c++17 -O2 push_rtmp.cpp -o push_rtmp $(pkg-config --cflags --libs libavformat libavcodec libavutil)
//   ./push_rtmp rtmp://127.0.0.1:1935/live/<stream key>
//
// Your own pictures go into draw(), your own samples into hum().

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
}

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

constexpr int kWidth = 640, kHeight = 360, kFps = 25, kRate = 48000;
volatile std::sig_atomic_t stopping = 0;

// What libav returned, or an exception with its words.
int check(int result, const char* what) {
    if (result >= 0) return result;
    char words[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(result, words, sizeof words);
    throw std::runtime_error(std::string(what) + ": " + words);
}

template <typename T>
T* need(T* pointer, const char* what) {
    return pointer ? pointer : throw std::runtime_error(std::string("no ") + what);
}

void draw(AVFrame* frame, int64_t number) {
    check(av_frame_make_writable(frame), "picture");
    for (int y = 0; y < kHeight; ++y)
        for (int x = 0; x < kWidth; ++x) frame->data[0][y * frame->linesize[0] + x] = uint8_t(x + y + number * 3);
    for (int plane = 1; plane < 3; ++plane)
        for (int y = 0; y < kHeight / 2; ++y)
            for (int x = 0; x < kWidth / 2; ++x)
                frame->data[plane][y * frame->linesize[plane] + x] = uint8_t(128 + 60 * std::sin(number * 0.05 + plane));
}

void hum(AVFrame* frame, int64_t first_sample) {
    check(av_frame_make_writable(frame), "sound");
    auto* samples = reinterpret_cast<float*>(frame->data[0]);
    for (int n = 0; n < frame->nb_samples; ++n)
        samples[n] = float(0.2 * std::sin(2 * M_PI * 440 * double(first_sample + n) / kRate));
}

struct Track {
    AVCodecContext* encoder;
    AVStream* stream;
    AVFrame* frame;
    int64_t next = 0;  // in pictures, or samples

    double seconds() const { return double(next) * av_q2d(encoder->time_base); }
};

// An encoder opened with what `configure` sets, and its track of the output.
template <typename Configure>
Track make_track(AVFormatContext* output, const char* name, Configure configure) {
    const AVCodec* codec = need(avcodec_find_encoder_by_name(name), name);
    AVCodecContext* encoder = need(avcodec_alloc_context3(codec), "memory");
    configure(encoder);
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;  // FLV wants the codec's configuration once, at the start
    check(avcodec_open2(encoder, codec, nullptr), name);
    AVStream* stream = need(avformat_new_stream(output, nullptr), "memory");
    check(avcodec_parameters_from_context(stream->codecpar, encoder), name);
    return {encoder, stream, need(av_frame_alloc(), "memory")};
}

// Encodes the frame (nullptr: what is left) and sends what comes out.
void send(AVFormatContext* output, Track& track, AVFrame* frame, AVPacket* packet) {
    check(avcodec_send_frame(track.encoder, frame), "encoder");
    while (avcodec_receive_packet(track.encoder, packet) >= 0) {
        av_packet_rescale_ts(packet, track.encoder->time_base, track.stream->time_base);
        packet->stream_index = track.stream->index;
        check(av_interleaved_write_frame(output, packet), "StreamHub has hung up");
    }
}

void push(const char* url) {
    AVFormatContext* output = nullptr;
    check(avformat_alloc_output_context2(&output, nullptr, "flv", url), "FLV");

    Track video = make_track(output, "libx264", [](AVCodecContext* c) {
        c->width = kWidth;
        c->height = kHeight;
        c->pix_fmt = AV_PIX_FMT_YUV420P;
        c->time_base = {1, kFps};
        c->framerate = {kFps, 1};
        c->gop_size = kFps;   // a key frame a second: as long do those wait who come later
        c->max_b_frames = 0;  // WebRTC has none: without them StreamHub copies the picture
        c->bit_rate = 1'000'000;
        av_opt_set(c->priv_data, "preset", "veryfast", 0);
        av_opt_set(c->priv_data, "tune", "zerolatency", 0);
    });
    video.frame->format = AV_PIX_FMT_YUV420P;
    video.frame->width = kWidth;
    video.frame->height = kHeight;
    check(av_frame_get_buffer(video.frame, 0), "memory");

    Track audio = make_track(output, "aac", [](AVCodecContext* c) {
        c->sample_fmt = AV_SAMPLE_FMT_FLTP;
        c->sample_rate = kRate;
        c->ch_layout = AV_CHANNEL_LAYOUT_MONO;
        c->time_base = {1, kRate};
        c->bit_rate = 96'000;
    });
    audio.frame->format = AV_SAMPLE_FMT_FLTP;
    audio.frame->nb_samples = audio.encoder->frame_size;
    audio.frame->sample_rate = kRate;
    check(av_channel_layout_copy(&audio.frame->ch_layout, &audio.encoder->ch_layout), "memory");
    check(av_frame_get_buffer(audio.frame, 0), "memory");

    AVDictionary* options = nullptr;
    av_dict_set(&options, "rw_timeout", "10000000", 0);  // µs: a network that is gone is an error, not for ever
    check(avio_open2(&output->pb, url, AVIO_FLAG_WRITE, nullptr, &options), "cannot publish (is the address right, the stream key good?)");
    av_dict_free(&options);
    av_dict_set(&options, "flvflags", "no_duration_filesize", 0);  // there is no file to go back in
    check(avformat_write_header(output, &options), "StreamHub refuses this");
    av_dict_free(&options);
    std::puts("publishing");
    std::fflush(stdout);

    AVPacket* packet = need(av_packet_alloc(), "memory");
    const auto began = std::chrono::steady_clock::now();
    while (!stopping) {
        Track& due = video.seconds() <= audio.seconds() ? video : audio;
        std::this_thread::sleep_until(began + std::chrono::duration<double>(due.seconds()));
        due.frame->pts = due.next;
        if (&due == &video) {
            draw(video.frame, video.next);
            video.next += 1;
        } else {
            hum(audio.frame, audio.next);
            audio.next += audio.frame->nb_samples;
        }
        send(output, due, due.frame, packet);
    }
    send(output, video, nullptr, packet);
    send(output, audio, nullptr, packet);
    check(av_write_trailer(output), "the end");

    av_packet_free(&packet);
    for (Track* track : {&video, &audio}) {
        av_frame_free(&track->frame);
        avcodec_free_context(&track->encoder);
    }
    avio_closep(&output->pb);
    avformat_free_context(output);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s rtmp://HOST:1935/live/STREAM_KEY\n", argv[0]);
        return 2;
    }
    std::signal(SIGINT, [](int) { stopping = 1; });
    std::signal(SIGTERM, [](int) { stopping = 1; });
    std::signal(SIGPIPE, SIG_IGN);
    av_log_set_level(AV_LOG_ERROR);
    try {
        push(argv[1]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::puts("stopped");
    return 0;
}
