// control
typedef Axis<1, Spread<TW_SPREAD_N>, TW_STEP_N, TW_EVEN_N> Axis_N;
typedef Axis<2, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axes<Axis_N> Axes_N;
typedef Axes<Axis_m, Axis_N> Axes_m_N;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int b_first, b_last, b_programs;
    Tensor<const f32, 3> arg_x;
    Tensor<const i32, 1> arg_lengths;
    Tensor<f32, 2> arg_out;
    Tensor<f32, 2> arg_last;
    int dim_B;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
control(const __grid_constant__ Arguments args) {
    // for b in each(B)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    const int b = args.b_first + int(program % unsigned(args.b_programs));
    program /= unsigned(args.b_programs);
    Axis_N N;
    N.at(0, args.dim_N);
    Axis_m m;
    (void)program;
    Tile<f32, Axes_N> acc;
    Tile<f32, Axes_N> tail;
    const i32 v9 = args.arg_lengths.data[args.arg_lengths.stride[0] * i64(b)];
    each(Axes_N, i) {
        const f32 v4 = 0e0f;
        // let mut acc = zeros::<f32> (N);
        acc[i] = v4;
        const f32 v6 = 0e0f;
        // let mut tail = zeros::<f32> (N);
        tail[i] = v6;
    }
    // for m in tile(M, 0..lengths[b])
    const int m_first = 0, m_last = min_of(v9, args.dim_M);
    for (int m_at = m_first; m_at < m_last; m_at += Axis_m::step) {
        m.at(m_at, m_last);
        Tile<f32, Axes_m_N> v11;
        load<TW_VECTOR_0>(true, v11, args.arg_x.data + args.arg_x.stride[0] * i64(b), cast<f32>(0.0f), along(args.arg_x.stride[1], m), along(args.arg_x.stride[2], N));
        Tile<f32, Axes_N> v12;
        reduce<false>(v12, v11, m, cast<f32>(0.0f), shared + TW_AT_0,
                      [](f32 a, f32 b) { return add(a, b); });
        each(Axes_N, i) {
            const f32 v13 = acc[i];
            const f32 v14 = (v13 + v12[i]);
            // acc += x[(b, m, ..)].sum(m);
            acc[i] = v14;
        }
    }
    // for m in each(M)
    for (int m2 = 0, m2_last = args.dim_M; m2 < m2_last; ++m2) {
        const i32 v16 = args.arg_lengths.data[args.arg_lengths.stride[0] * i64(b)];
        const bool v18 = (m2 >= v16);
        if (v18) {
            break;
        }
        const i32 v21 = remainder(m2, 2);
        const bool v23 = (v21 == 1);
        if (v23) {
            continue;
        }
        Tile<f32, Axes_N> v26;
        load<TW_VECTOR_0>(true, v26, args.arg_x.data + args.arg_x.stride[0] * i64(b) + args.arg_x.stride[1] * i64(m2), cast<f32>(0.0f), along(args.arg_x.stride[2], N));
        each(Axes_N, i) {
            const f32 v27 = tail[i];
            const f32 v29 = (v27 * 5e-1f);
            const f32 v30 = (v26[i] + v29);
            // tail = x[(b, m, ..)] + tail * 0.5;
            tail[i] = v30;
        }
    }
    // for i in unroll(0..2)
    TW_UNROLL for (int i_of_kernel = 0; i_of_kernel < 2; ++i_of_kernel) {
        const f32 v33 = cast<f32>(i_of_kernel);
        each(Axes_N, i) {
            const f32 v31 = acc[i];
            const f32 v34 = (v31 + v33);
            // acc = acc + i as f32;
            acc[i] = v34;
        }
    }
    Tile<f32, Axes_N> v36;
    each(Axes_N, i) v36[i] = acc[i];
    // out[(b, ..)] = acc;
    store<TW_VECTOR_1>(true, v36, args.arg_out.data + args.arg_out.stride[0] * i64(b), along(args.arg_out.stride[1], N));
    Tile<f32, Axes_N> v38;
    each(Axes_N, i) v38[i] = tail[i];
    // last[(b, ..)] = tail;
    store<TW_VECTOR_2>(true, v38, args.arg_last.data + args.arg_last.stride[0] * i64(b), along(args.arg_last.stride[1], N));
}
